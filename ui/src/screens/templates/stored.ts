import { api, the, type Content, type Template, type TemplateDetail } from "../../api/client";

const PAGE = 200;

/** All that there are, by name. */
export async function allTemplates(): Promise<Template[]> {
  const found: Template[] = [];
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor?: string } = { limit: PAGE, ...(cursor === null ? {} : { cursor }) };
    const page = await the(api.GET("/api/templates", { params: { query } }));
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return found;
}

/** One of them, in its newest version where none is named. */
export function templateOf(id: string, version?: number): Promise<TemplateDetail> {
  const params = { path: { template_id: id }, query: version === undefined ? {} : { version } };
  return the(api.GET("/api/templates/{template_id}", { params }));
}

/** Templates are strangers': only an image is shown, and that as an image. */
export function isImage(icon: string | null | undefined): icon is string {
  return /^data:image\/(png|jpeg|gif|webp|avif|svg\+xml);base64,/.test(icon ?? "");
}

export function iconOf(content: Content | null): string | null {
  return isImage(content?.icon) ? content.icon : null;
}
