// A host of another language: node-llama-cpp, with the llama.cpp that it brings.
//
//   node node_engine.mjs FOLDER MODEL THREADS
//
// FOLDER has its node_modules. Prints one line, a JSON object: {"release": ..., "text": ...}, what the model writes after a prompt
// without any chance.
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const [folder, model_path, threads] = process.argv.slice(2);
const require = createRequire(folder + "/package.json");
const {getLlama, LlamaCompletion} = await import(pathToFileURL(require.resolve("node-llama-cpp")).href);

const llama = await getLlama({gpu: false, build: "never", usePrebuiltBinaries: true, progressLogs: false, logLevel: "error"});
const model = await llama.loadModel({modelPath: model_path, useMmap: true});
const context = await model.createContext({contextSize: 256, batchSize: 256, threads: Number(threads)});
const completion = new LlamaCompletion({contextSequence: context.getSequence()});
const text = await completion.generateCompletion("It is a truth universally acknowledged, that", {maxTokens: 24, temperature: 0});
console.log(JSON.stringify({release: llama.llamaCppRelease.release, text}));
await llama.dispose();
process.exit(0);
