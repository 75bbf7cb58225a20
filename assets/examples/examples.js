// Examples that are heard at a click, as if they had been dropped. Gradio gives `element` and `props`.

async function hear({ name, file, audio }) {
    const answer = await fetch(audio);
    if (answer.ok) giveTo("recording", "drop", new File([await answer.blob()], file, { type: "audio/ogg" }));
}

speak(element);
const buttons = props.examples.map((example) => {
    const made = make("button", phrase(`examples.${example.name}`), { type: "button" });
    made.addEventListener("click", () => hear(example));
    return made;
});
element.querySelector("[data-part=buttons]").append(...buttons);
