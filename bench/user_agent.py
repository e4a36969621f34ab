"""A user agent for one login: keeps cookies, follows redirects, fills the provider's form."""

import http.client
import ssl
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

from programs import Failure

MOST_STEPS = 12
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-User": "?1",
}


class Form(HTMLParser):
    """The first form of a page: where it goes, and its fields."""

    def __init__(self, page):
        super().__init__()
        self.action, self.fields, self.is_open, self.is_pressed = None, {}, False, False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form" and self.action is None:
            self.action, self.is_open = attrs.get("action") or "", True
        elif tag == "input" and self.is_open and attrs.get("name"):
            self.fields[attrs["name"]] = attrs.get("value") or ""
        elif tag == "button" and self.is_open and not self.is_pressed:
            # Enter presses the first button, named or not; another one may say no.
            self.is_pressed = True
            if attrs.get("name"):
                self.fields[attrs["name"]] = attrs.get("value") or ""

    def handle_endtag(self, tag):
        if tag == "form":
            self.is_open = False


def connect(parts):
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    # Loopback, with a certificate that was made a moment ago: nobody is mistaken for anybody.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=10, context=context)


def fetch(url, headers, method="GET", body=None):
    """One exchange: status, header fields, and the body as text."""
    parts = urlsplit(url)
    connection = connect(parts)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target or "/", body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def sign_in(url, username, password):
    """Opens `url`, signs in where it leads, and gives the Cookie header of `url`'s own server."""
    gate = urlsplit(url).netloc
    jars = {}
    method, body = "GET", None
    for _ in range(MOST_STEPS):
        jar = jars.setdefault(urlsplit(url).netloc, {})
        headers = dict(NAVIGATION)
        if jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        status, answer, page = fetch(url, headers, method, body)
        for line in answer.get_all("Set-Cookie") or []:
            pair, *attributes = (part.strip() for part in line.split(";"))
            name, _, value = pair.partition("=")
            if any(a.lower() in ("max-age=0", "max-age=-1") for a in attributes):
                jar.pop(name, None)
            else:
                jar[name] = value
        if answer.get("Location"):
            url, method, body = urljoin(url, answer["Location"]), "GET", None
        elif status == 200 and urlsplit(url).netloc == gate:
            session = {n: v for n, v in jar.items() if "-l-" not in n}
            return "; ".join(f"{name}={value}" for name, value in session.items())
        else:
            form = Form(page)
            if form.action is None:
                raise Failure(f"the login stopped at {url} with status {status}")
            for name in form.fields:
                if name in ("username", "login", "user"):
                    form.fields[name] = username
                elif "password" in name:
                    form.fields[name] = password
            url, method, body = urljoin(url, form.action), "POST", urlencode(form.fields)
    raise Failure(f"the login did not end after {MOST_STEPS} steps; it was at {url}")
