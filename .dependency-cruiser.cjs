// The import table of docs/architecture.md, enforced. `may` lists the folders that a folder may import;
// base, the Node standard library and npm packages are open to all.
const may = {
  base: [],
  message: [],
  keys: [],
  authenticate: ['keys', 'message'],
  admit: ['authenticate', 'keys', 'message'],
  spool: ['message'],
  report: ['message'],
  deliver: ['spool', 'report', 'message'],
  accept: ['authenticate', 'admit', 'spool', 'report', 'message'],
  manage: ['authenticate', 'keys', 'spool', 'report', 'message'],
  console: ['authenticate', 'keys', 'spool', 'report', 'message'],
  // explain walks the rules of the server itself, and guard its count: nothing of them is written twice.
  cli: ['authenticate', 'admit', 'keys', 'spool', 'report', 'message', 'config\\.ts$'],
};

const forbidden = Object.entries(may).map(([folder, allowed]) => ({
  name: `${folder}-imports`,
  severity: 'error',
  comment: `${folder} may import: ${['base', ...allowed].join(', ')}`,
  from: { path: `^src/${folder}/`, pathNot: '^src/cli/serve\\.ts$' },
  to: { path: '^src/', pathNot: [`^src/${folder}/`, '^src/base/', ...allowed.map((name) => `^src/${name}`)] },
}));

module.exports = {
  forbidden: [
    ...forbidden,
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'config-imports',
      severity: 'error',
      from: { path: '^src/config\\.ts$' },
      to: { path: '^src/', pathNot: '^src/(base/|config-schema\\.ts$)' },
    },
    {
      name: 'types-only',
      severity: 'error',
      comment: 'admit takes types alone from authenticate and keys',
      from: { path: '^src/admit/' },
      to: { path: '^src/(authenticate|keys)/', dependencyTypesNot: ['type-only'] },
    },
    { name: 'no-test-in-src', severity: 'error', from: { path: '^src' }, to: { path: '^test' } },
    { name: 'no-orphans', severity: 'error', from: { orphan: true, path: '^src' }, to: {} },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
};
