// Playing a recording and going through its segments.

function play(until = null) {
    stopAt = until;
    audio.play().catch(() => say(phrase("timeline.unplayable")));
}

function stop() {
    stopAt = null;
    audio.pause();
}

function seek(time) {
    audio.currentTime = Math.min(Math.max(time, 0), told.duration);
    redraw(axis.show(audio.currentTime));
}

// The view follows playback, which ends with the segment that was asked for.
function follow() {
    if (!told) return;
    if (stopAt !== null && audio.currentTime >= stopAt) stop();
    redraw(!audio.paused && axis.show(audio.currentTime));
    if (!audio.paused) requestAnimationFrame(follow);
}

// Brings a segment, or the beginning, into view and there playback.
function goTo(index, playing) {
    chosen = index;
    table.choose(index);
    stopAt = null;
    if (index === null) return seek(0);
    const { start, end } = segments.list[index];
    axis.show(start, end);
    seek(start);
    if (playing) play(end);
}

// To the next segment (1) or the one before (-1).
function step(by) {
    const { list } = segments;
    if (!list.length) return;
    const next = list.findIndex(({ start }) => start > audio.currentTime);
    const from = chosen ?? (by > 0 ? (next < 0 ? list.length : next) - 1 : next < 0 ? list.length : next);
    choose(Math.min(Math.max(from + by, 0), list.length - 1), true);
}
