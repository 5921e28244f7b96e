// A host of another language: node-llama-cpp, with the llama.cpp that it brings.
//
//   [TOKENS=N] node node_engine.mjs MODEL THREADS free|keep FOLDER...
//
// Each FOLDER has its node_modules; one after the other, in one process, they load MODEL and print a line, a JSON object:
// {"release": ..., "text": ...}, what the model writes (24 tokens, or N) after a prompt without any chance. With `keep` all models stay loaded until the end.
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const [model_path, threads, keep, ...folders] = process.argv.slice(2);
for (const folder of folders) {
  const require = createRequire(folder + "/package.json");
  const {getLlama, LlamaCompletion} = await import(pathToFileURL(require.resolve("node-llama-cpp")).href);
  const llama = await getLlama({gpu: false, maxThreads: Number(threads), build: "never", usePrebuiltBinaries: true, progressLogs: false, logLevel: "error"});
  const model = await llama.loadModel({modelPath: model_path, useMmap: true});
  const context = await model.createContext({contextSize: 256, batchSize: 256, threads: Number(threads)});
  const completion = new LlamaCompletion({contextSequence: context.getSequence()});
  const text = await completion.generateCompletion("It is a truth universally acknowledged, that", {maxTokens: Number(process.env.TOKENS ?? 24), temperature: 0});
  console.log(JSON.stringify({release: llama.llamaCppRelease.release, text}));
  if (keep === "free") await llama.dispose();
}
process.exit(0);
