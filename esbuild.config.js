// Builds dist/: the program and all that it needs in a few files. Loading some 600 modules one by one costs each start
// more than the rest of it; types are checked apart (`npm run check:types`).
//
// Chunks lie beside worker.js, so that a path relative to a module of src/ is right in dist/ too.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';

const OUT = 'dist';
const NOTICES = 'THIRD-PARTY-LICENSES';

const { metafile } = await build({
  entryPoints: ['src/cli/main.ts', 'src/worker.ts'],
  outdir: OUT,
  outbase: 'src',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  sourcemap: true,
  metafile: true,
  logLevel: 'warning',
  // CommonJS packages inside the bundle ask for Node's own modules with `require`.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
});

writeFileSync(join(OUT, NOTICES), notices(Object.keys(metafile.inputs)));
removeAllBut(new Set([...Object.keys(metafile.outputs).map((file) => relative(OUT, file)), NOTICES]));

/** The licences of the packages that went in: they ask to be passed on with every copy. */
function notices(inputs) {
  const packages = new Set(inputs.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []));
  return [...packages].sort().map(notice).join('\n');
}

function notice(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const texts = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
  const text = texts.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
  return `=== ${name} ${version} (${license}) ===\n\n${text}\n`;
}

/** What an earlier build left; not the hidden files of bin/setup. */
function removeAllBut(files) {
  const folders = new Set([...files].map(dirname));
  for (const entry of readdirSync(OUT, { withFileTypes: true, recursive: true })) {
    const path = relative(OUT, join(entry.parentPath, entry.name));
    if (!entry.name.startsWith('.') && !files.has(path) && !folders.has(path))
      rmSync(join(OUT, path), { recursive: true, force: true });
  }
}
