// The reading page of openapi.yaml. All of it is text, so a strict policy holds.
import { useEffect, useState } from 'preact/hooks';
import { parse } from 'yaml';

interface Media { schema?: Schema; example?: unknown }
interface Schema { $ref?: string; type?: string | string[]; description?: string; properties?: Record<string, Schema>; items?: Schema; enum?: unknown[]; allOf?: Schema[] }
interface Parameter { $ref?: string; name: string; in: string; description?: string; required?: boolean; schema?: Schema }
interface Answer { $ref?: string; description: string; content?: Record<string, Media> }
interface Operation { summary: string; description?: string; parameters?: Parameter[]; requestBody?: { content: Record<string, Media> }; responses: Record<string, Answer> }
interface Document {
  info: { title: string; version: string; description: string };
  paths: Record<string, Record<string, Operation> & { parameters?: Parameter[] }>;
  components: Record<string, Record<string, unknown>>;
}

const PROBLEM = 'application/problem+json'; // its members are the same in every answer: shown once, at the top
const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete', 'options'];

export function Docs() {
  const [doc, setDoc] = useState<Document>();
  const [problem, setProblem] = useState('');
  useEffect(() => {
    fetch('/openapi.yaml').then(async a => setDoc(parse(await a.text()) as Document)).catch(e => setProblem((e as Error).message));
  }, []);
  if (problem) return <p class="bad" role="alert">{problem}</p>;
  if (!doc) return <p role="status">Loading…</p>;
  const at = <T extends { $ref?: string }>(x: T): T => {
    if (!x.$ref) return x;
    const [, , kind, name] = x.$ref.split('/');
    return doc.components[kind!]![name!] as T;
  };
  return (
    <article class="docs">
      <h1>{doc.info.title}</h1>
      <Prose text={doc.info.description} />
      <p><a href="/openapi.yaml">openapi.yaml</a></p>
      <details class="card"><summary><code>{PROBLEM}</code> <span class="note">What every error is</span></summary><Shape schema={doc.components.schemas!.Problem as Schema} at={at} depth={0} /></details>
      {Object.entries(doc.paths).flatMap(([path, item]) => METHODS.filter(m => item[m]).map(method => {
        const o = item[method]!;
        const parameters = [...item.parameters ?? [], ...o.parameters ?? []].map(at);
        return (
          <details key={method + path} class="card operation">
            <summary><span class={`method ${method}`}>{method.toUpperCase()}</span> <code>{path}</code> <span class="note">{o.summary}</span></summary>
            {o.description && <Prose text={o.description} />}
            {parameters.length > 0 && (
              <dl>{parameters.map(p => <div key={p.in + p.name}><dt><code>{p.name}</code> <span class="note">{p.in}{p.required ? ', needed' : ''}</span></dt><dd>{p.description}</dd></div>)}</dl>
            )}
            {o.requestBody && <p>Body: {Object.keys(o.requestBody.content).map(m => <code key={m}>{m} </code>)}</p>}
            <dl>{Object.entries(o.responses).map(([status, a]) => {
              const answer = at(a);
              return <div key={status}><dt><code>{status}</code></dt><dd>{answer.description} {Object.entries(answer.content ?? {}).map(([m, c]) => <div key={m}><code>{m}</code>{c.schema && m !== PROBLEM && <Shape schema={c.schema} at={at} depth={0} />}</div>)}</dd></div>;
            })}</dl>
          </details>
        );
      }))}
    </article>
  );
}

function Prose({ text }: { text: string }) {
  return <>{text.trim().split(/\n\s*\n/).map((p, i) => <p key={i}>{p}</p>)}</>;
}

function Shape({ schema, at, depth }: { schema: Schema; at: (s: Schema) => Schema; depth: number }) {
  const s = at(schema), inner = s.items ? at(s.items) : s;
  if (!inner.properties || depth > 3) return null;
  return (
    <ul>{Object.entries(inner.properties).map(([name, p]) => {
      const v = at(p);
      return <li key={name}><code>{name}</code> <span class="note">{[v.type].flat().filter(Boolean).join(' or ')}{v.enum ? `: ${v.enum.map(e => e === '' ? 'empty' : String(e)).join(', ')}` : ''}</span> {v.description ?? p.description}<Shape schema={p} at={at} depth={depth + 1} /></li>;
    })}</ul>
  );
}
