import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];
export type Server = Schemas["ServerView"];
export type Status = Schemas["Status"];
export type Node = Schemas["NodeView"];
export type Finding = Schemas["Finding"];
export type NodeSample = Schemas["NodeSample"];
export type ServerSample = Schemas["ServerSample"];
export type Operation = Schemas["OperationView"];
export type User = Schemas["UserView"];
export type Session = Schemas["SessionView"];
export type Template = Schemas["TemplateView"];
export type TemplateDetail = Schemas["TemplateDetail"];
/** What a template is made of. */
export type Content = Schemas["Template-Output"];
export type TemplatePreview = Schemas["Preview"];
export type TemplateDraft = Schemas["Draft"];
export type Image = Schemas["ImageView"];
export type Registry = Schemas["RegistryView"];
export type Figures = Schemas["Figures"];

/** What an answer of the panel says of what went wrong (RFC 9457). */
export interface Problem {
  status: number;
  code: string;
  detail: string;
  request_id?: string;
  /** Of the operation that was refused, where there is one. */
  operation_id?: string;
  fields?: { field: string; message: string }[];
}

/** Something that was asked of the panel and did not work. `problem` is null where nothing answered. */
export class Failed extends Error {
  constructor(readonly problem: Problem | null) {
    super(problem?.detail ?? "");
  }
}

export const api = createClient<paths>({ baseUrl: "/" });

interface Answer<Data> {
  data?: Data;
  error?: unknown;
  response: Response;
}

/** The data of an answer. Throws: `Failed`. */
export async function the<Data>(asking: Promise<Answer<Data>>): Promise<Data> {
  let answer: Answer<Data>;
  try {
    answer = await asking;
  } catch {
    throw new Failed(null);
  }
  if (answer.response.ok) return answer.data as Data;
  throw new Failed(asProblem(answer.error, answer.response.status));
}

function asProblem(error: unknown, status: number): Problem {
  const found = typeof error === "object" && error !== null ? (error as Partial<Problem>) : {};
  return { ...found, status, code: found.code ?? "UNEXPECTED", detail: found.detail ?? "" };
}
