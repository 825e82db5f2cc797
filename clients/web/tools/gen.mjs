// Makes TypeScript of the client contract (src/api/client/*.proto) with protoc and protoc-gen-es.
// The result is never committed; it is made again only when a .proto or the generator is newer.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const root = resolve(here, '../../src');
const out = join(here, 'src/wire/gen');
const folder = join(root, 'api/client');
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.proto'))
  .sort();
const sources = [
  ...files.map((name) => join(folder, name)),
  join(root, 'rpc/options.proto'),
  join(here, 'package.json'),
  fileURLToPath(import.meta.url),
];
const newest = Math.max(...sources.map((name) => statSync(name).mtimeMs));
const stamp = join(out, 'api/client/message_pb.ts');
if (!existsSync(stamp) || statSync(stamp).mtimeMs < newest) {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  try {
    execFileSync(
      'protoc',
      [
        '-I',
        root,
        `--plugin=protoc-gen-es=${join(here, 'node_modules/.bin/protoc-gen-es')}`,
        `--es_out=${out}`,
        '--es_opt=target=ts,json_types=true',
        'rpc/options.proto',
        ...files.map((name) => `api/client/${name}`),
      ],
      { stdio: 'inherit' },
    );
  } catch (error) {
    console.error(
      error.code === 'ENOENT' ? 'protoc is missing: apt-get install protobuf-compiler' : String(error.message),
    );
    process.exit(1);
  }
}
