// Buttons for the examples: a click analyses one as if it was dropped. Gradio gives `element` and `props`.

async function openExample({ name, file, audio }) {
    const response = await fetch(audio);
    if (response.ok) giveTo("recording", "drop", new File([await response.blob()], file, { type: "audio/ogg" }));
}

fillPhrases(element);
const buttons = props.examples.map((example) => {
    const button = make("button", phrase(`examples.${example.name}`), { type: "button" });
    button.addEventListener("click", () => openExample(example));
    return button;
});
element.querySelector("[data-part=buttons]").append(...buttons);
