document.addEventListener("input", (event) => {
  const slider = event.target;
  if (slider.matches("input[data-wipe]")) {
    slider.closest(".wipe").style.setProperty("--wipe", slider.value + "%");
  }
});

// Only the first stretch of a face is a stop of the tab key; there may be hundreds.
document.addEventListener("keydown", (event) => {
  const stretch = event.target;
  if (!stretch.matches(".bar > a")) return;
  const key = event.key;
  const next = key === "ArrowRight" ? stretch.nextElementSibling : key === "ArrowLeft" ? stretch.previousElementSibling : null;
  if (next) {
    next.focus();
    event.preventDefault();
  }
});
