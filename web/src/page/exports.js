// Results as files: JSON, CSV, TextGrid, WebVTT, and the table of corrections, as the writers of ser_core/export.

import { settings } from "../settings.js";

const MS = 1000;
const EXTENSIONS = { textgrid: "TextGrid", corpus: "csv" };

// A spreadsheet takes a cell that starts with one of these for a formula: an apostrophe goes before it.
const inert = (cell) => (settings.formulaStarts.some((start) => cell.startsWith(start)) ? `'${cell}` : cell);
const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

function table(columns, rows) {
    const lines = [columns, ...rows.map((row) => columns.map((column) => row[column] ?? ""))];
    return lines.map((cells) => `${cells.map((cell) => quoted(String(cell))).join(",")}\r\n`).join("");
}

function csv(analysis) {
    const source = inert(analysis.source);
    const rows = analysis.segments.map(({ start, end, label, confidence, valence, arousal, probabilities, overlap }) => {
        const numbers = { confidence, valence, arousal, ...probabilities };
        const shares = Object.entries(numbers).map(([name, value]) => [name, value.toFixed(4)]);
        return { source, start: start.toFixed(3), end: end.toFixed(3), label, overlap, ...Object.fromEntries(shares) };
    });
    return table(settings.csvColumns, rows.length ? rows : [{ source, label: analysis.summary.label }]);
}

// The segments in whole ms, cut where the next starts and where the recording ends; without empty ones.
function intervals({ segments, duration }) {
    const length = Math.round(duration * MS);
    return segments
        .map((segment, i) => ({
            segment,
            start: Math.max(Math.round(segment.start * MS), 0),
            end: Math.min(Math.round(segment.end * MS), length, Math.round((segments[i + 1]?.start ?? Infinity) * MS)),
        }))
        .filter(({ start, end }) => start < end);
}

function vtt(analysis) {
    const clock = (ms) => {
        const pad = (number, digits = 2) => String(number).padStart(digits, "0");
        const seconds = Math.floor(ms / MS);
        return `${pad(Math.floor(seconds / 3600))}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}.${pad(ms % MS, 3)}`;
    };
    const source = JSON.stringify(analysis.source).replaceAll(">", "\\u003e");
    const cues = intervals(analysis).map(({ segment, start, end }) =>
        `${clock(start)} --> ${clock(end)}\n${segment.label} ${Math.round(100 * segment.confidence)}%\n`);
    return ["WEBVTT\n", `NOTE source ${source}\n`, ...cues].join("\n");
}

function textgrid(analysis) {
    const end = Math.max(Math.round(analysis.duration * MS), 1);
    const tier = (name, textOf) => {
        const entries = [];
        let at = 0;
        for (const interval of intervals(analysis)) {
            if (interval.start > at) entries.push([at, interval.start, ""]);
            entries.push([interval.start, interval.end, textOf(interval.segment)]);
            at = interval.end;
        }
        if (at < end) entries.push([at, end, ""]);
        return { name, entries };
    };
    const tiers = [tier("emotion", ({ label }) => label), tier("confidence", ({ confidence }) => confidence.toFixed(4))];
    const seconds = (ms) => ms / MS;
    const head = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", `xmax = ${seconds(end)}`, "tiers? <exists>"];
    const body = tiers.flatMap(({ name, entries }, number) => [
        `    item [${number + 1}]:`,
        '        class = "IntervalTier"',
        `        name = "${name}"`,
        "        xmin = 0",
        `        xmax = ${seconds(end)}`,
        `        intervals: size = ${entries.length}`,
        ...entries.flatMap(([from, to, text], i) => [
            `        intervals [${i + 1}]:`,
            `            xmin = ${seconds(from)}`,
            `            xmax = ${seconds(to)}`,
            `            text = "${text.replaceAll('"', '""')}"`,
        ]),
    ]);
    return [...head, `size = ${tiers.length}`, "item []:", ...body, ""].join("\n");
}

// What a person has reviewed, for training: the speaker's name has to be filled in.
function corpus(analysis) {
    const rows = analysis.segments
        .filter(({ checked, label }) => checked && label !== "unknown")
        .map(({ start, end, label }) => ({ file: `./${analysis.source}`, emotion: label, start: start.toFixed(3), end: end.toFixed(3) }));
    return table(settings.correctionColumns, rows);
}

const json = ({ segments, ...analysis }) => {
    const clean = segments.map(({ checked, of, ...segment }) => segment);
    return `${JSON.stringify([{ ...analysis, segments: clean }], null, 2)}\n`;
};

const WRITERS = { json, csv, textgrid, vtt, corpus };

// {name, text} of an analysis in a format.
export function write(format, analysis) {
    const stem = analysis.source.replace(/\.[^.]*$/, "") || analysis.source;
    const suffix = format === "corpus" ? ".checked" : "";
    return { name: `${stem}${suffix}.${EXTENSIONS[format] ?? format}`, text: WRITERS[format](analysis) };
}
