document.addEventListener("input", (event) => {
  const slider = event.target;
  if (slider.matches("input[data-wipe]")) {
    slider.parentElement.style.setProperty("--wipe", slider.value + "%");
  }
});
