// What is said of voices: how each of them sounds, and from when on. The same as ser_ui/voices.py says.

const [STEADY, MOSTLY, NAMED] = [0.85, 0.5, 4]; // shares of a voice's time, and voices that are named
const [BEFORE, AFTER, MIN_AFTER_S] = [0.3, 0.8, 3]; // shares before and after the time from which on a label prevails

// How each voice sounds. `voices`: {voice, shares, turn}, the turn being the segment from which on a label prevails, if any.
function voicesText(voices) {
    const parts = voices.slice(0, NAMED).map(({ voice, shares, turn }) => {
        const [label, share] = Object.entries(shares)[0];
        const name = (one) => emotionName(one === UNKNOWN ? "unclear" : one);
        if (share >= STEADY) return phrase("voices.steady", { voice, emotion: name(label) });
        if (turn) return phrase("voices.from", { voice, emotion: name(turn.label), time: clock(Math.floor(turn.start)) });
        return share >= MOSTLY ? phrase("voices.mostly", { voice, emotion: name(label) }) : phrase("voices.mixed", { voice });
    });
    if (voices.length > NAMED) parts.push(phrase("voices.more", { count: voices.length - NAMED }));
    return parts.join(", ");
}

// Each label's share of the time of a voice's segments, the largest first.
function sharesOf(segments) {
    const seconds = Object.entries(speakingTime(segments));
    const total = seconds.reduce((sum, [, s]) => sum + s, 0);
    return Object.fromEntries(seconds.map(([label, s]) => [label, s / total]));
}

// The first of a voice's segments from which on an emotion prevails that was rare before.
function turnOf(segments) {
    return segments.find(({ label }, index) => {
        if (!index || label === UNKNOWN) return false;
        const [before, after] = [sharesOf(segments.slice(0, index)), segments.slice(index)];
        const lasts = after.reduce((sum, { start, end }) => sum + end - start, 0) >= MIN_AFTER_S;
        const rare = [label, UNKNOWN].every((one) => (before[one] ?? 0) <= BEFORE);
        return lasts && rare && sharesOf(after)[label] >= AFTER;
    });
}
