// What keeps a page up to date: server-sent events, and times that go on.

const ago = (s) => {
  if (s < 60) return `${Math.max(0, Math.floor(s))} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
};

// tellTimes writes how long ago the times below an element are.
export function tellTimes(below = document) {
  const now = Date.now() / 1000;
  for (const t of below.querySelectorAll('time[data-at]')) {
    const at = Number(t.dataset.at);
    const text = ago(now - at);
    if (t.textContent === text) continue;
    t.textContent = text;
    const date = new Date(at * 1000);
    t.dateTime = date.toISOString();
    t.title = date.toLocaleString();
  }
}

export function clocks() {
  tellTimes();
  setInterval(tellTimes, 1000);
}

// listen calls take with what a stream of events says, while the page is seen: a browser opens
// few connections to a server, and a page that nobody sees needs none.
export function listen(path, event, take) {
  const lost = document.getElementById('lost');
  let source = null;
  const open = () => {
    source = new EventSource(path);
    source.addEventListener('open', () => { lost.hidden = true; });
    source.addEventListener('error', () => {
      lost.hidden = false;
      if (source?.readyState === EventSource.CLOSED) {
        close();
        setTimeout(() => { if (!document.hidden && !source) open(); }, 3000);
      }
    });
    source.addEventListener('end', () => { lost.hidden = false; });
    source.addEventListener(event, (e) => take(JSON.parse(e.data)));
  };
  const close = () => {
    source?.close();
    source = null;
  };
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) close();
    else if (!source) open();
  });
  addEventListener('pagehide', close);
  if (!document.hidden) open();
}

// unhurried returns a function that calls do, at most once in so many milliseconds and never
// while a call goes on; what came in between counts once.
export function unhurried(pause, work) {
  let busy = false;
  let again = false;
  const go = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    again = false;
    try {
      await work();
    } finally {
      setTimeout(() => {
        busy = false;
        if (again) go();
      }, pause);
    }
  };
  return go;
}

// ask fetches JSON from the server; null where it does not answer or refuses.
export async function ask(path) {
  try {
    const answer = await fetch(path);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}
