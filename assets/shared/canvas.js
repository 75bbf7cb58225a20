// Drawing for all tabs: canvases in the screen's resolution, colours of the theme, the plane of valence and arousal.

const TRAIL = 12; // segments in the plane

// Sets a canvas to the screen's resolution and clears it; returns its context and its size in CSS pixels.
function prepare(canvas) {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    const dots = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * dots)) canvas.width = Math.round(width * dots);
    if (canvas.height !== Math.round(height * dots)) canvas.height = Math.round(height * dots);
    const pen = canvas.getContext("2d");
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = `12px ${getComputedStyle(canvas).fontFamily}`;
    return { pen, width, height };
}

function inks(canvas) {
    const style = getComputedStyle(canvas);
    return { text: style.getPropertyValue("--figure-text"), faint: style.getPropertyValue("--figure-faint") };
}

// Black or white, whichever has the higher contrast on `color` (WCAG 2.2: equal at a luminance of 0.18).
function inkOn(color) {
    const linear = [1, 3, 5].map((i) => {
        const c = parseInt(color.slice(i, i + 2), 16) / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.18 ? "#000" : "#fff";
}

// The last segments in the plane of valence and arousal; older ones are more transparent.
function drawPlane(canvas, emotions, colorOf, segments) {
    const { pen, width, height } = prepare(canvas);
    if (!width) return;
    const { text, faint } = inks(canvas);
    const [x, y] = [(v) => ((v + 1.1) / 2.2) * width, (a) => ((1.1 - a) / 2.2) * height];
    pen.strokeStyle = faint;
    pen.strokeRect(0.5, 0.5, width - 1, height - 1);
    pen.beginPath();
    pen.moveTo(0, y(0)); pen.lineTo(width, y(0)); pen.moveTo(x(0), 0); pen.lineTo(x(0), height);
    pen.stroke();
    pen.fillStyle = text;
    pen.textBaseline = "middle";
    for (const { name, color, valence, arousal } of emotions) {
        // The name is to the right of the square, unless the edge or another emotion is there.
        const left = valence > 0.3 || emotions.some((other) =>
            other.valence > valence && other.valence < valence + 0.5 && Math.abs(other.arousal - arousal) < 0.12);
        pen.textAlign = left ? "right" : "left";
        pen.fillText(emotionName(name), x(valence) + (left ? -7 : 7), y(arousal));
        pen.fillStyle = color;
        pen.fillRect(x(valence) - 4, y(arousal) - 4, 8, 8);
        pen.fillStyle = text;
    }
    const trail = segments.slice(-TRAIL);
    pen.strokeStyle = text;
    trail.forEach(({ label, final, valence, arousal }, i) => {
        pen.globalAlpha = (i + 1) / trail.length;
        if (i) {
            pen.beginPath();
            pen.moveTo(x(trail[i - 1].valence), y(trail[i - 1].arousal));
            pen.lineTo(x(valence), y(arousal));
            pen.stroke();
        }
        pen.beginPath();
        pen.arc(x(valence), y(arousal), i === trail.length - 1 ? 8 : 5, 0, 2 * Math.PI);
        pen.fillStyle = colorOf(label);
        pen.globalAlpha *= final ? 1 : 0.5;
        pen.fill();
        pen.globalAlpha = (i + 1) / trail.length;
        pen.stroke();
    });
    pen.globalAlpha = 1;
}
