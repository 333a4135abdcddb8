// Compiles one Motoko actor:
//
//   node compile.js PACKAGE SOURCE OUTPUT
//
// PACKAGE is the folder of the npm package "motoko". Version 4 makes 64-bit
// modules whose memory is kept by an upgrade ("enhanced"); version 3 makes
// 32-bit ones that write their variables to stable memory ("classic"), knows
// no "persistent" actors, and calls its library base instead of core. The
// sources are for version 4 and use nothing that has another meaning in 3.
const fs = require("fs");
const path = require("path");

const [folder, source, output] = process.argv.slice(2);
const motoko = require(path.resolve(folder));
const major = Number(require(path.resolve(folder, "package.json")).version.split(".")[0]);

const libraries = path.join(folder, "packages", "latest");
for (const file of fs.readdirSync(libraries)) {
  const library = JSON.parse(fs.readFileSync(path.join(libraries, file), "utf8"));
  motoko.loadPackage({ ...library, name: "core" });
}

let text = fs.readFileSync(source, "utf8");
if (major < 4) {
  text = text.replace("persistent actor", "actor").replace(/^  var /gm, "  stable var ");
}
motoko.write("Main.mo", text);
fs.writeFileSync(output, motoko.wasm("Main.mo", "ic").wasm);
