// The choice of how voices are told apart. Its value, as JSON, goes to the server with each recording.

const select = (name) => element.querySelector(`[data-part="${name}"]`);
const option = (value, words) => make("option", words, { value });

function tell() {
    const each = select("channels").value === "each";
    select("number").disabled = each; // every channel is a voice
    props.value = JSON.stringify({ voices: each ? "auto" : select("number").value, channels: select("channels").value });
}

fillPhrases(element);
select("number").append(
    option("auto", phrase("voices.auto")),
    option("one", phrase("voices.one")),
    ...props.numbers.map((count) => option(count, phrase("voices.count", { count }))),
);
select("channels").append(...["auto", "mix", "each"].map((name) => option(name, phrase(`voices.channels_${name}`))));
element.addEventListener("change", tell);
