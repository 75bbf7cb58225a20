// Files that a tab gives away: to the person, or to another tab.

const GIVE_MS = 10_000; // until a tab that takes files is there

function saveFile(blob, name) {
    const link = make("a", "", { href: URL.createObjectURL(blob), download: name });
    link.click();
    URL.revokeObjectURL(link.href);
}

// Gradio names an area to drop files on in English alone: here it is called what is written on it.
function nameDropArea(id) {
    const area = document.getElementById(id);
    if (!area) return requestAnimationFrame(() => nameDropArea(id));
    const name = () => area.querySelector("button[aria-dropeffect]")?.removeAttribute("aria-label");
    new MutationObserver(name).observe(area, { childList: true, subtree: true });
    name();
}

// Opens a tab and gives it a file as if that had been dropped there; a tab that takes none says why.
function giveTo(tab, area, file) {
    document.querySelector(`#${tab}-tab-button`).click();
    const until = performance.now() + GIVE_MS;
    const transfer = new DataTransfer();
    transfer.items.add(file);
    const give = () => {
        const input = document.querySelector(`#${area} input[type=file]`);
        const ready = input && document.querySelector(`#${area}`).clientWidth;
        if (!ready) return performance.now() < until && requestAnimationFrame(give);
        input.files = transfer.files;
        input.dispatchEvent(new Event("change", { bubbles: true }));
    };
    give();
}

const openInRecording = (file) => giveTo("recording", "drop", file);
