// Requests to the API: JSON in and out, and a problem's words as the error.
export class Problem extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

export async function request(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Problem(0, "The service does not answer.");
  }
  if (answer.status === 401) {
    location.assign("/login");
    throw new Problem(401, "Log in again.");
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    const words = [problem.detail ?? `The service answered ${answer.status}.`, ...(problem.errors ?? [])].join("\n");
    throw new Problem(answer.status, words);
  }
  return answer;
}

export const get = async (path) => (await request(path)).json();

export const put = (path, body, headers = {}) =>
  request(path, { method: "PUT", body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...headers } });

export const cameraPath = (name, rest = "") => `/api/cameras/${encodeURIComponent(name)}${rest}`;

// Server-sent events. The browser reconnects by itself; we only say so.
export function listen(after, { onStatus, onEvent, onConnection }) {
  const source = new EventSource(`/api/events/stream?after=${after}`);
  source.addEventListener("status", (message) => { onConnection(true); onStatus(JSON.parse(message.data)); });
  source.addEventListener("event", (message) => onEvent(JSON.parse(message.data)));
  source.addEventListener("error", () => {
    onConnection(false);
    if (source.readyState === EventSource.CLOSED) {
      // Refused: logged out, or full. Ask once, which leads to the login if that is why; then try again.
      setTimeout(async () => {
        try { await get("/api/page"); } catch { /* told by the banner */ }
        listen(after, { onStatus, onEvent, onConnection });
      }, 3000);
    }
  });
  return source;
}
