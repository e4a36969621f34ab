"use strict";
// The place to return to is the last parameter of the link; the fragment is its end.
const link = document.getElementById("go");
if (location.hash.length > 1) link.href += encodeURIComponent(location.hash);
location.replace(link.href);
