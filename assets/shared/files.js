// Saves files to disk, and passes files to another tab.

const GIVE_MS = 10_000; // the longest wait for the input of the other tab

function saveFile(blob, name) {
    const link = make("a", "", { href: URL.createObjectURL(blob), download: name });
    link.click();
    URL.revokeObjectURL(link.href);
}

// Gradio labels a drop area in English only. Without that label, its visible text is its name.
function nameDropArea(id) {
    const area = document.getElementById(id);
    if (!area) return requestAnimationFrame(() => nameDropArea(id));
    const removeLabel = () => area.querySelector("button[aria-dropeffect]")?.removeAttribute("aria-label");
    new MutationObserver(removeLabel).observe(area, { childList: true, subtree: true });
    removeLabel();
}

// Opens a tab and passes it a file as if it was dropped on `area`. A tab without inputs shows the reason.
function giveTo(tab, area, file) {
    document.querySelector(`#${tab}-tab-button`).click();
    const deadline = performance.now() + GIVE_MS;
    const transfer = new DataTransfer();
    transfer.items.add(file);
    const pass = () => {
        const input = document.querySelector(`#${area} input[type=file]`);
        const ready = input && document.querySelector(`#${area}`).clientWidth;
        if (!ready) return performance.now() < deadline && requestAnimationFrame(pass);
        input.files = transfer.files;
        input.dispatchEvent(new Event("change", { bubbles: true }));
    };
    pass();
}

const openInRecording = (file) => giveTo("recording", "drop", file);
