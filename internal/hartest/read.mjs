// Reads a HAR as two packages of npm do, and prints what it finds in each entry.
import { readFileSync } from 'node:fs';
import har from 'har-validator';
import core from '@har-sdk/core';

const text = readFileSync(process.argv[2], 'utf8');
const valid = await har.har(JSON.parse(text));
const imported = await new core.SpecImporter().import(text);
if (imported.type !== 'har' || imported.doc.log.entries.length !== valid.log.entries.length) {
  throw new Error(`a ${imported.type} of ${imported.doc.log.entries.length} entries was imported`);
}
const entries = [];
for (const entry of imported.doc.log.entries) {
  await har.entry(entry);
  await har.request(entry.request);
  await har.response(entry.response);
  const { text, encoding } = entry.response.content;
  entries.push({
    url: entry.request.url,
    status: entry.response.status,
    started: new Date(entry.startedDateTime).toISOString(),
    body: Buffer.from(text ?? '', encoding ?? 'utf8').toString('base64'),
  });
}
console.log(JSON.stringify(entries));
