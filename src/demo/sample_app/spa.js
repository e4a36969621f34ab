"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  // All windows of this app hear it, whoever opened them.
  const news = new BroadcastChannel("signed-in");
  if (byId("closing") !== null) {
    news.postMessage("signed in");
    window.close();
    return;
  }
  const tell = (text) => { byId("told").textContent += text + "\n"; };
  let login = null;
  // Whatever is fetched may come back as 401: its body says where to sign in.
  const ask = async (url) => {
    const answer = await fetch(url, { headers: { accept: "application/json" } });
    const body = await answer.json();
    if (answer.status === 401) {
      login = new URL(body.login_url);
      byId("sign-in").hidden = false;
      tell("signed out: " + body.code);
      return null;
    }
    byId("sign-in").hidden = true;
    return body;
  };
  const load = async () => {
    const data = await ask("/spa/data");
    if (data !== null) tell("loaded for " + data.user);
  };
  const look = async () => {
    const session = await ask(document.body.dataset.session);
    if (session !== null) byId("left").textContent = "Unused, this session ends in " + session.idle_expires_in + " s.";
  };
  byId("load").addEventListener("click", load);
  byId("sign-in").addEventListener("click", () => {
    const there = new URL(login);
    there.searchParams.set("return_to", "/spa/signed-in");
    // Without a window of its own the way leads back to this page, which is then loaded anew.
    if (window.open(there, "_blank", "popup,width=480,height=720") === null) location.assign(login);
  });
  news.addEventListener("message", load);
  look();
})();
