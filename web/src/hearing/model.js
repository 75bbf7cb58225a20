// The ONNX graph: clips in, probabilities and the state of the session out. Features, calibration, session reader
// and the gate on what is no speech are in the graph; its sizes are in `description`.

import * as ort from "../vendor/ort.wasm.min.mjs";

export class Model {
    // `wasm`: the bytes of ONNX Runtime; `bytes`: the graph; `description`: of settings.js's `models`.
    static async open({ wasm, bytes, description, threads }) {
        ort.env.wasm.wasmBinary = wasm;
        ort.env.wasm.wasmPaths = { mjs: new URL("../vendor/ort-wasm-simd-threaded.mjs", import.meta.url).href };
        ort.env.wasm.numThreads = threads;
        const model = new Model();
        Object.assign(model, { description, turn: Promise.resolve(), urgent: 0 });
        model.session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
        ort.env.wasm.wasmBinary = undefined; // the compiled module is kept, its bytes are not
        return model;
    }

    // {probabilities, alone, after} of a clip `(n_samples,)` heard in `state`, null for a new session. One at a time.
    judge(samples, state) {
        const result = this.turn.then(() => this.run(samples, state));
        this.turn = result.catch(() => {});
        return result;
    }

    async run(samples, state) {
        const { labels, stateSize } = this.description;
        const outputs = await this.session.run({
            samples: new ort.Tensor("float32", samples, [1, samples.length]),
            lengths: new ort.Tensor("int64", [BigInt(samples.length)], [1]),
            session: new ort.Tensor("float32", state ?? new Float32Array(stateSize), [1, stateSize]),
        });
        const shares = (row) => {
            const total = row.reduce((sum, share) => sum + share, 0);
            return Object.fromEntries(labels.map((label, i) => [label, row[i] / total]));
        };
        const [probabilities, alone] = [shares(outputs.probabilities.data), shares(outputs.alone.data)];
        const after = outputs.session_after.data.slice();
        Object.values(outputs).forEach((tensor) => tensor.dispose());
        return { probabilities, alone, after };
    }

    close() {
        return this.turn.then(() => this.session.release());
    }
}
