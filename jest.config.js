import { availableParallelism } from 'node:os';

// Tests run as CommonJS through swc: no experimental flag, and fast. test/built covers the real ES modules.
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2023', keepClassNames: true },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  // A bound for what hangs, not a measure: a machine may be ten times slower than the developer's.
  testTimeout: 180_000,
  // Most of a test is waiting for a process or a socket: more files at once than jest would run beside few cores.
  maxWorkers: Math.max(3, availableParallelism() - 1),
  reporters: ['default', '<rootDir>/test/support/failure-list.js'],
  // A test that failed may leave a server behind; the run must end all the same.
  forceExit: true,
};
