/** Which folder may import which: docs of the rule are in CONTRIBUTING.md. */
const oneFileNames = "^compiler/(roles|transforms|formats|solvers|observers|objectives|searches|samplers|targets|laws|metrics|scalings|clips|orders|matrices)/";
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'grammar-is-alone', severity: 'error', from: { path: '^grammar/' }, to: { path: '^(compiler|runtime|scripts)/' } },
    { name: 'runtime-is-below', severity: 'error', from: { path: '^runtime/' }, to: { path: '^compiler/', dependencyTypesNot: ['type-only'] } },
    { name: 'nothing-imports-cli', severity: 'error', from: { path: '^(grammar|runtime|compiler/(?!cli/))' }, to: { path: '^compiler/cli/' } },
    { name: 'no-node-below-cli', severity: 'error', from: { path: '^(grammar/(?!vscode)|compiler/(?!cli/|node/|server/stdio/))' }, to: { dependencyTypes: ['core'] } },
    { name: 'node-host-only-from-cli', severity: 'error', from: { path: '^compiler/(?!cli/|node/|index|server/stdio/)' }, to: { path: '^compiler/node/' } },
    { name: 'only-cli-serves', severity: 'error', from: { path: '^(grammar|runtime|compiler/(?!cli/|server/))' }, to: { path: '^compiler/server/' } },
    { name: 'features-are-pure', severity: 'error', from: { path: '^compiler/server/(?!stdio/)' }, to: { path: '^compiler/(server/stdio|node|cli)/|vscode-languageserver(?!-types)', dependencyTypesNot: ['type-only'] } },
    {
      name: 'one-file-names', severity: 'error', from: { path: oneFileNames },
      to: { path: '^(compiler|runtime)/', pathNot: ['^compiler/(define|schema|crunch|host|sites|simulated|recipe)\\.ts$', '^compiler/plan/types\\.ts$', '^compiler/(graph|match|simulate|lower|fold)/', oneFileNames], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: { tsPreCompilationDeps: true, tsConfig: { fileName: 'tsconfig.json' }, doNotFollow: { path: 'node_modules' }, exclude: { path: 'node_modules' } },
};
