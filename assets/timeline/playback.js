// Playback of a recording, and moving between its segments.

function play(until = null) {
    stopAt = until;
    audio.play().catch(() => say(phrase("timeline.unplayable")));
}

function stop() {
    stopAt = null;
    audio.pause();
}

function seek(time) {
    audio.currentTime = Math.min(Math.max(time, 0), content.duration);
    redraw(axis.show(audio.currentTime));
}

// Scrolls the view with playback, and stops at the end of the chosen segment.
function follow() {
    if (!content) return;
    if (stopAt !== null && audio.currentTime >= stopAt) stop();
    redraw(!audio.paused && axis.show(audio.currentTime));
    if (!audio.paused) requestAnimationFrame(follow);
}

// Chooses a segment (null: the whole recording), and moves view and playback to its start.
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

// Chooses the next segment (1) or the previous one (-1).
function step(by) {
    const { list } = segments;
    if (!list.length) return;
    const next = list.findIndex(({ start }) => start > audio.currentTime);
    const from = chosen ?? (by > 0 ? (next < 0 ? list.length : next) - 1 : next < 0 ? list.length : next);
    choose(Math.min(Math.max(from + by, 0), list.length - 1), true);
}
