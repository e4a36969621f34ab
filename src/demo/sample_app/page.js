"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const write = (id, line) => { byId(id).textContent += line + "\n"; };
  let socket = null;
  byId("say").addEventListener("click", () => {
    const say = () => socket.send("hello at " + new Date().toISOString());
    if (socket !== null && socket.readyState === WebSocket.OPEN) { say(); return; }
    socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws");
    socket.addEventListener("open", say);
    socket.addEventListener("message", (event) => write("echo", event.data));
    socket.addEventListener("close", (event) => write("echo", "closed: " + event.code));
  });
  let stream = null;
  byId("listen").addEventListener("click", () => {
    if (stream !== null) { stream.close(); stream = null; write("heard", "stopped"); return; }
    stream = new EventSource("/events");
    stream.addEventListener("message", (event) => write("heard", event.data));
    stream.addEventListener("error", () => write("heard", "interrupted"));
  });
})();
