// Writes the licences of the packages that are in the bundle: node licences.mjs FOLDER FILE, where the
// folder holds node_modules and esbuild's meta.json.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, file] = process.argv.slice(2);
const meta = JSON.parse(readFileSync(join(folder, 'meta.json'), 'utf8'));
const names = new Set();
for (const output of Object.values(meta.outputs)) {
  for (const [path, part] of Object.entries(output.inputs)) {
    const found = path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/);
    if (found && part.bytesInOutput > 0) names.add(found[1]);
  }
}
let text = 'What app.js and app.css hold besides vicreg\'s own code.\n';
for (const name of [...names].sort()) {
  const at = join(folder, 'node_modules', name);
  const about = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8'));
  const licence = readdirSync(at).find((f) => /^licen[cs]e/i.test(f));
  const words = licence ? readFileSync(join(at, licence), 'utf8').replace(/[ \t\r]+$/gm, '').trim()
    : `${about.license} licence; its author is ${about.author?.name ?? about.author ?? 'not named'}.`;
  text += `\n${'='.repeat(100)}\n${about.name} ${about.version} (${about.license})\n\n${words}\n`;
}
writeFileSync(file, text);
