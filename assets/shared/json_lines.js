// Results that come one after the other: a text to which lines of JSON are added, and which begins anew with another
// first line.

class JsonLines {
    constructor() {
        Object.assign(this, { read: 0, first: "" }); // characters, and the line they begin with
    }

    // What has come since the last time; `anew` where it is not of the same text.
    take(text) {
        const anew = !this.first || !text.startsWith(this.first);
        if (anew) this.read = 0;
        const lines = text.slice(this.read).split("\n").slice(0, -1);
        this.read += lines.reduce((sum, line) => sum + line.length + 1, 0);
        this.first = text.slice(0, text.indexOf("\n") + 1);
        return { anew, told: lines.map((line) => JSON.parse(line)) };
    }
}
