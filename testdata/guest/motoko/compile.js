// Compiles one Motoko actor: node compile.js PACKAGE SOURCE OUTPUT, where
// PACKAGE is the folder of the npm package "motoko". Writes OUTPUT and, beside
// it, its Candid interface.
const fs = require("fs");
const path = require("path");

const [folder, source, output] = process.argv.slice(2);
const motoko = require(path.resolve(folder));

// The packages' base libraries have one name here, whatever the version.
for (const file of fs.readdirSync(path.join(folder, "packages", "latest"))) {
  motoko.loadPackage(JSON.parse(fs.readFileSync(path.join(folder, "packages", "latest", file))));
}
motoko.write("Main.mo", fs.readFileSync(source, "utf8"));
const { wasm } = motoko.wasm("Main.mo", "ic");
fs.writeFileSync(output, wasm);
fs.writeFileSync(output.replace(/\.wasm$/, ".did"), motoko.candid("Main.mo"));
