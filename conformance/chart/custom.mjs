// Checks custom resources against the schemas of those whose resources they are. Reads a JSON array of objects, prints what is wrong.
// custom.mjs NODE_MODULES
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const PACKAGES = {
  'cert-manager.io/v1': 'cert-manager',
  'keda.sh/v1alpha1': 'keda',
  'monitoring.coreos.com/v1': 'prometheus-operator',
};
const models = join(resolve(process.argv[2]), '@kubernetes-models');

for (const object of JSON.parse(readFileSync(0, 'utf8'))) {
  const name = `${object.kind} ${object.metadata.name}`;
  const index = join(models, PACKAGES[object.apiVersion], object.apiVersion, 'index.js');
  const kinds = await import(pathToFileURL(index));
  if (!kinds[object.kind]) {
    console.log(`${name}: there is no such kind`);
    continue;
  }
  try {
    new kinds[object.kind](object).validate();
  } catch (error) {
    console.log(`${name}: ${error.message}`);
  }
}
