// A reporter for jest: adds what failed, in few lines, to the file that TEST_FAILURES_FILE names. `.ci/run` shows it at its
// end, where it is still seen when the log of twenty minutes is cut.
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

const LINES = 8;
const LINE_LENGTH = 300;

export default class FailureList {
  onRunComplete(_contexts, { testResults }) {
    const file = process.env.TEST_FAILURES_FILE;
    const failures = testResults.flatMap((result) => [...brokenFile(result), ...failedTests(result)]);
    if (file && failures.length) appendFileSync(file, `${failures.join('\n')}\n`);
  }
}

/** One that could not even be loaded. */
function brokenFile({ testFilePath, testExecError }) {
  return testExecError ? [described(testFilePath, '', testExecError.stack ?? testExecError.message)] : [];
}

function failedTests({ testFilePath, testResults }) {
  const failed = testResults.filter(({ status }) => status === 'failed');
  return failed.map(({ fullName, failureMessages }) => described(testFilePath, fullName, failureMessages.join('\n')));
}

function described(path, name, message = '') {
  const lines = stripVTControlCharacters(message)
    .split('\n')
    .filter((line) => line.trim());
  const shown = lines.slice(0, LINES).map((line) => `    ${line.slice(0, LINE_LENGTH)}`);
  return [`FAILED ${relative(process.cwd(), path)} ${name}`, ...shown].join('\n');
}
