// Just enough CSV for a preview: RFC 4180 quotes, any line end, a row limit.

export function rows(text: string, delimiter: string, most: number): string[][] {
  const all: string[][] = [];
  let row: string[] = [], cell = '', quoted = false;
  const end = () => {
    row.push(cell);
    cell = '';
  };
  for (let i = 0; i < text.length && all.length < most; i++) {
    const c = text[i]!;
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[++i];
      else quoted = false;
    } else if (c === '"' && cell === '') quoted = true;
    else if (c === delimiter) end();
    else if (c === '\n' || c === '\r') {
      if (c === '\r' && text[i + 1] === '\n') i++;
      end();
      if (row.length > 1 || row[0] !== '') all.push(row);
      row = [];
    } else cell += c;
  }
  if (all.length < most && (cell || row.length)) {
    end();
    all.push(row);
  }
  return all;
}
