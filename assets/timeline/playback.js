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
    const shown = segments.list.map((_, i) => i).filter((i) => lanes.only === null || segments.list[i].voice === lanes.only);
    if (!shown.length) return;
    const next = shown.findIndex((i) => segments.list[i].start > audio.currentTime);
    const place = chosen === null ? -1 : shown.indexOf(chosen);
    const from = place >= 0 ? place : by > 0 ? (next < 0 ? shown.length : next) - 1 : next < 0 ? shown.length : next;
    choose(shown[Math.min(Math.max(from + by, 0), shown.length - 1)], true);
}
