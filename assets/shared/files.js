// Files that a tab gives away: to the person, or to the tab Recording.

function saveFile(blob, name) {
    const link = make("a", "", { href: URL.createObjectURL(blob), download: name });
    link.click();
    URL.revokeObjectURL(link.href);
}

// As if the file had been dropped in the tab Recording.
function openInRecording(file) {
    document.querySelector("#recording-tab-button").click();
    const transfer = new DataTransfer();
    transfer.items.add(file);
    const give = () => {
        const input = document.querySelector("#drop input[type=file]");
        if (!input || !document.querySelector("#answer")?.clientWidth) return requestAnimationFrame(give);
        input.files = transfer.files;
        input.dispatchEvent(new Event("change", { bubbles: true }));
    };
    give();
}
