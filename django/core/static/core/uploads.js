// Tells the sender that the chosen files are too large before they travel: a request over the
// gateway's limit is turned away in front of Django, with a page that knows nothing of the form.
for (const input of document.querySelectorAll("input[type=file][data-max-bytes]")) {
  input.addEventListener("change", () => {
    const total = Array.from(input.files).reduce((sum, file) => sum + file.size, 0);
    input.setCustomValidity(total > Number(input.dataset.maxBytes) ? input.dataset.tooLarge : "");
    input.reportValidity();
  });
}
