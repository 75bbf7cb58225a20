// Starts the page: checks the browser, settles the service worker, fetches a model, and sets up both tabs.

import { fillPhrases, make, percent, phrase, decimal } from "../assets/shared.js";
import { start as startLive } from "../assets/live.js";
import { settings } from "../settings.js";
import { connectionTo } from "./connection.js";
import { Hearing } from "./hearing.js";
import { RecordingTab } from "./recording.js";
import { obstacle, settle, threads } from "./support.js";

const MB = 1e6;
const part = (name) => document.querySelector(`[data-page="${name}"]`);

let hearing = null;
let recording = null;
let live = null;

function say(words, kind = "") {
    part("status").textContent = words;
    part("status").dataset.kind = kind;
}

// What went wrong with a model, in words.
function problem({ code, name, message }) {
    if (code) return phrase(`web.${code}`);
    const memory = name === "RangeError" || /memory|allocat|abort/i.test(message);
    return memory ? `${phrase("web.no_memory")} ${phrase("web.use_server")}` : phrase("web.failed", { reason: message });
}

async function openModel(name) {
    const began = performance.now();
    part("load").hidden = false;
    part("retry").hidden = true;
    part("models").disabled = true;
    document.body.dataset.state = "loading";
    let full = false;
    const onProgress = (share, total) => {
        part("bar").firstElementChild.style.transform = `scaleX(${share})`;
        part("bar").setAttribute("aria-valuenow", Math.round(100 * share));
        say(share < 1 ? phrase("web.loading", { share: percent(share), megabytes: decimal(total / MB, 1) }) : phrase("web.opening"));
    };
    try {
        const { bandHz } = await hearing.open(name, onProgress, () => (full = true));
        ready({ name, ...settings.models[name] }, bandHz);
        const facts = { name, version: settings.models[name].version, seconds: decimal((performance.now() - began) / 1000, 1) };
        say(full ? phrase("web.full") : phrase("web.ready", facts));
        document.body.dataset.state = "ready";
    } catch (error) {
        console.info(`${name}: ${error.message}`);
        say(problem(error), "problem");
        part("retry").hidden = false;
        document.body.dataset.state = "failed";
    }
    part("load").hidden = document.body.dataset.state !== "loading";
    part("models").disabled = false;
}

function ready(model, bandHz) {
    recording.use(model, bandHz);
    startLiveTab(model);
    const { waiting } = recording;
    recording.waiting = null;
    if (waiting) recording.open(waiting);
}

// The live tab is for one model: another one gets a fresh tab.
function startLiveTab(model) {
    const old = document.querySelector("#live");
    const element = make("div", "", { id: "live" });
    element.innerHTML = document.querySelector("#live-template").innerHTML; // our own markup
    old.replaceWith(element);
    const emotions = settings.emotions.filter(({ name }) => model.labels.includes(name));
    const { unknownColor, keptS } = settings;
    const props = { emotions, unknown_color: unknownColor, threshold: model.threshold, model, kept_s: keptS };
    live = startLive({ element, props, Connection: connectionTo(hearing) });
    // A session is one model's, and no model is opened meanwhile.
    new MutationObserver(() => (part("models").disabled = element.dataset.state !== "idle")).observe(element, { attributeFilter: ["data-state"] });
}

function newHearing() {
    hearing = new Hearing((message) => {
        say(`${problem({ message })} ${phrase("web.reload")}`, "problem");
        document.body.dataset.state = "failed";
    });
}

function setUpTabs() {
    const tabs = [...document.querySelectorAll('[role="tab"]')];
    const choose = (chosen) => {
        for (const tab of tabs) {
            tab.setAttribute("aria-selected", tab === chosen);
            tab.tabIndex = tab === chosen ? 0 : -1;
            document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
        }
    };
    tabs.forEach((tab, i) => {
        tab.addEventListener("click", () => choose(tab));
        tab.addEventListener("keydown", ({ key }) => {
            const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
            if (!step) return;
            const next = tabs[(i + step + tabs.length) % tabs.length];
            choose(next);
            next.focus();
        });
    });
    choose(tabs[0]);
}

// Light or dark as the visitor prefers, or as the page says that holds this one.
function followScheme() {
    const options = new URLSearchParams(location.search);
    const [dark, theme] = [matchMedia("(prefers-color-scheme: dark)"), options.get("theme")];
    document.body.classList.toggle("embedded", options.has("embedded"));
    const apply = () => document.body.classList.toggle("dark", theme ? theme === "dark" : dark.matches);
    dark.addEventListener("change", apply);
    apply();
}

function listModels() {
    for (const [name, { bytes, parameters }] of Object.entries(settings.models)) {
        const size = { name, megabytes: decimal((bytes + settings.runtime.bytes) / MB, 0), millions: decimal(parameters / 1e6, 1) };
        part("models").append(make("option", phrase("web.model_choice", size), { value: name }));
    }
    const wanted = new URLSearchParams(location.search).get("model");
    if (wanted in settings.models) part("models").value = wanted;
    part("models").addEventListener("change", () => openModel(part("models").value));
    part("retry").addEventListener("click", () => openModel(part("models").value));
}

async function start() {
    fillPhrases(document.body);
    document.documentElement.lang = document.body.lang;
    followScheme();
    setUpTabs();
    const reason = obstacle();
    if (reason) {
        document.body.dataset.state = "unsupported";
        return say(`${phrase(reason)} ${phrase("web.use_server")}`, "problem");
    }
    if (await settle()) return; // the page is loaded again
    newHearing();
    recording = new RecordingTab(document.querySelector("#recording"), hearing);
    listModels();
    document.body.dataset.threads = threads();
    await openModel(part("models").value);
}

// For measurements and tests: results with all their digits, and sound that comes faster than from a microphone.
export const liveTab = () => live;
export const analysis = () => recording.analysis;

start();
