// Writes settings as block-style YAML: mappings, lists, strings, numbers and switches.

const scalar = (value) => (typeof value === 'string' ? JSON.stringify(value) : String(value));
const isPlain = (value) => value === null || typeof value !== 'object';

export function yaml(value, depth = 0) {
  const pad = '  '.repeat(depth);
  const entries = Array.isArray(value)
    ? value.map((item) => [`${pad}-`, item])
    : Object.entries(value).map(([key, item]) => [`${pad}${key}:`, item]);
  return entries
    .map(([head, item]) => {
      if (isPlain(item)) return `${head} ${scalar(item)}\n`;
      if (Object.keys(item).length === 0) return `${head} ${Array.isArray(item) ? '[]' : '{}'}\n`;
      return `${head}\n${yaml(item, depth + 1)}`;
    })
    .join('');
}
