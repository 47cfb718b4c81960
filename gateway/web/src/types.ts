// What the API answers with, by openapi.yaml. Numbers pass through a double here,
// for the eye: files hold them exactly.
import type { components, paths } from './openapi.gen';

type Schemas = components['schemas'];
export type Status = Schemas['Status'];
export type State = Schemas['State'];
export type Offer = Schemas['Offer'];
export type OfferPage = Schemas['Offers'];
export type Day = Schemas['Aggregate'];
export type Portfolio = Schemas['Portfolio'];

type Method = 'get' | 'head' | 'post' | 'delete';

// Given are the ids and the query that a request needs and may have.
export type Given<P extends keyof paths, M extends Method> =
  [NonNullable<paths[P][M]>] extends [never] ? never : NonNullable<paths[P][M]> extends { parameters: infer G } ? Pick<G, keyof G & ('path' | 'query')> : never;

// Query is what a GET may ask for.
export type Query<P extends keyof paths> = NonNullable<Given<P, 'get'>['query' & keyof Given<P, 'get'>]>;

// Answer is the JSON of a GET.
export type Answer<P extends keyof paths> =
  paths[P] extends { get: { responses: { 200: { content: { 'application/json': infer A } } } } } ? A : never;

export const ended = (s: Status) => s.state === 'JOB_COMPLETE' || s.state === 'FAILED' || s.state === 'ABORTED';
