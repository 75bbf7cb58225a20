// The switch "on this device": in place of the tabs, the static page of web/, which the server has as files. A frame
// holds it, as both pages have the same components by the same names.

const part = (name) => element.querySelector(`[data-part="${name}"]`);
const root = new URL(window.gradio_config?.root ?? location.href, location.href).pathname.replace(/\/$/, "");
let frame = null; // made when it is first asked for

function open() {
    const theme = document.body.classList.contains("dark") ? "dark" : "light";
    const src = `${root}${props.path}/?embedded&theme=${theme}`;
    frame = make("iframe", "", { src, allow: "microphone", title: phrase("device.switch") });
    frame.addEventListener("load", follow);
    part("place").append(frame);
}

// The frame is as high as what it holds. It may load anew.
function follow() {
    const { body } = frame.contentDocument;
    new frame.contentWindow.ResizeObserver(() => (frame.style.height = `${body.scrollHeight}px`)).observe(body);
}

function change() {
    const on = part("switch").checked;
    if (on) document.querySelector("#live [data-part=stop]:enabled")?.click(); // the server hears nothing more
    if (on && !frame) open();
    part("place").hidden = !on;
    for (const box of document.querySelectorAll("#tabs, .gradio-container .notes")) box.classList.toggle("elsewhere", on);
}

fillPhrases(element);
part("switch").addEventListener("change", change);
