// Report files that are too large before they are sent: a request that exceeds the gateway's limit
// does not reach Django, and would lose the form's data.
for (const input of document.querySelectorAll("input[type=file][data-max-bytes]")) {
  input.addEventListener("change", () => {
    const total = Array.from(input.files).reduce((sum, file) => sum + file.size, 0);
    input.setCustomValidity(total > Number(input.dataset.maxBytes) ? input.dataset.tooLarge : "");
    input.reportValidity();
  });
}
