#!/usr/bin/env node
// The WebAssembly compiler of the npm package `solc`, with the command line that Ape and Forge expect of the native
// one. The package's own `solcjs --standard-json` prints a line before the JSON and therefore cannot serve.
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const args = process.argv.slice(2);
if (args.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (args.includes("--standard-json")) {
  const at = args.indexOf("--base-path");
  const base = at < 0 ? process.cwd() : args[at + 1];
  const read = (file) => {
    const full = path.resolve(base, file);
    return fs.existsSync(full) ? { contents: fs.readFileSync(full, "utf8") } : { error: `File not found: ${full}` };
  };
  process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: read }));
} else {
  console.error("solc.js: only --version and --standard-json are served");
  process.exit(2);
}
