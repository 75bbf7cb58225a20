// Segments, summaries and the JSON of an analysis, as ser_core/analysis.py and ser_core/export/json.py.

const NO_SPEECH = "no_speech";
const UNKNOWN = "unknown";
const ONE_VOICE = { voice: null, channel: null, overlap: false }; // of a segment: voices are not told apart here
const [TIME_DIGITS, PROBABILITY_DIGITS] = [3, 4];

const rounded = (value, digits) => Number(value.toFixed(digits));

function verdict(probabilities, threshold) {
    const best = Object.keys(probabilities).reduce((one, other) => (probabilities[other] > probabilities[one] ? other : one));
    const confidence = probabilities[best];
    return { label: confidence >= threshold ? best : UNKNOWN, confidence, probabilities };
}

// A segment of a span in samples from class probabilities (sum 1).
export function makeSegment(span, probabilities, { threshold }, { emotions, sampleRate }) {
    const expected = (axis) => emotions.reduce((sum, emotion) => sum + (probabilities[emotion.name] ?? 0) * emotion[axis], 0);
    return {
        start: span.start / sampleRate,
        end: span.end / sampleRate,
        ...verdict(probabilities, threshold),
        valence: expected("valence"),
        arousal: expected("arousal"),
    };
}

// The verdict on a whole recording: segment probabilities averaged, weighted by duration.
export function summarise(segments, threshold) {
    const total = segments.reduce((sum, { start, end }) => sum + end - start, 0);
    if (!total) return { label: NO_SPEECH, confidence: 0, probabilities: {} };
    const mean = {};
    for (const { start, end, probabilities } of segments) {
        for (const [name, share] of Object.entries(probabilities)) mean[name] = (mean[name] ?? 0) + ((end - start) * share) / total;
    }
    return verdict(mean, threshold);
}

function verdictJson({ label, confidence, probabilities }) {
    const shares = Object.entries(probabilities).map(([name, share]) => [name, rounded(share, PROBABILITY_DIGITS)]);
    return { label, confidence: rounded(confidence, PROBABILITY_DIGITS), probabilities: Object.fromEntries(shares) };
}

// One segment as values for JSON.
export function segmentJson(segment) {
    return {
        start: rounded(segment.start, TIME_DIGITS),
        end: rounded(segment.end, TIME_DIGITS),
        ...verdictJson(segment),
        valence: rounded(segment.valence, PROBABILITY_DIGITS),
        arousal: rounded(segment.arousal, PROBABILITY_DIGITS),
        ...ONE_VOICE,
    };
}

// One analysis as values for JSON; `duration` in s.
export function analysisJson({ source, duration, quality, segments }, model, schema) {
    return {
        schema,
        source,
        duration: rounded(duration, TIME_DIGITS),
        model: { name: model.name, version: model.version },
        quality,
        segments: segments.map(segmentJson),
        summary: verdictJson(summarise(segments, model.threshold)),
        voices: [],
        error: null,
    };
}
