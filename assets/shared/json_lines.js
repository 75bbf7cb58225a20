// Parses a growing text of JSON lines. A text with another first line replaces the one before.

class JsonLines {
    constructor() {
        Object.assign(this, { read: 0, first: "" }); // number of characters parsed, and the first line
    }

    // The values of the lines that are new since the last call; `restarted` where the text was replaced.
    take(text) {
        const restarted = !this.first || !text.startsWith(this.first);
        if (restarted) this.read = 0;
        const lines = text.slice(this.read).split("\n").slice(0, -1);
        this.read += lines.reduce((sum, line) => sum + line.length + 1, 0);
        this.first = text.slice(0, text.indexOf("\n") + 1);
        return { restarted, values: lines.map((line) => JSON.parse(line)) };
    }
}
