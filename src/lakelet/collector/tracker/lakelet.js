/*
 * Lakelet's tracker: page views, clicks and events of a page, sent to /v1/events.
 *
 *   <script async src="https://collect.example/v1/lakelet.js"
 *           data-key="wk_shop" data-consent="required"></script>
 *
 * Attributes of the script element:
 *   data-key       write key
 *   data-url       where to send; by default where the script came from
 *   data-consent   "granted" starts at once; anything else waits for
 *                  lakelet.consent(true) and until then stores and sends nothing
 *   data-auto      "off": no page views and clicks by itself
 *
 * lakelet.track(type, fields)   an event; known fields by the contract's names
 * lakelet.page(fields)          a page view
 * lakelet.identify(userId)      user_id of this and later events; null forgets it
 * lakelet.consent(yes)          true starts; false stops and forgets everything
 *
 * Before the script is there:  lakelet = { q: [["track", "search", {...}]] }
 */
(function (window, document, navigator) {
  "use strict";

  var script = document.currentScript;
  var data = script.dataset;
  var url = data.url || script.src.replace(/lakelet\.js.*/, "events");
  var IDLE_MS = 18e5; // half an hour ends a session
  var QUEUE_MAX = 500; // events kept while offline: the oldest go first
  var BATCH_MAX = 50; // about 25 kB
  var KEEPALIVE_MAX = 2e4; // characters: browsers refuse to outlive a page with over 64 kB
  var RETRY_MS_MAX = 6e4;

  // Asked once: the signal belongs to the browser, no call of the page overrules it.
  var refused = navigator.doNotTrack == 1 || window.doNotTrack == 1 || navigator.globalPrivacyControl;
  var granted = false;
  var queue = [];
  var sending = []; // the queue's head, while a request holds it
  var stored = "queue." + Date.now() + Math.random(); // ours alone: tabs share localStorage
  var failures = 0;
  var timer;
  var lastUrl;
  var memory = {}; // where localStorage is forbidden

  function load(name) {
    try {
      return JSON.parse(localStorage["lakelet." + name]);
    } catch (_) {
      return memory[name];
    }
  }

  function save(name, value) {
    memory[name] = value;
    try {
      localStorage["lakelet." + name] = JSON.stringify(value);
    } catch (_) {}
  }

  // Everything of ours whose name begins so; `take` is given each value first.
  function remove(name, take) {
    try {
      Object.keys(localStorage).forEach(function (key) {
        if (!key.indexOf("lakelet." + name)) {
          take && take(JSON.parse(localStorage[key]));
          localStorage.removeItem(key);
        }
      });
    } catch (_) {}
  }

  // randomUUID wants a secure context; a shop's test server on plain http has none.
  function id() {
    return crypto.randomUUID
      ? crypto.randomUUID()
      : "10000000-1000-4000-8000-100000000000".replace(/[018]/g, function (c) {
          return (c ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (c / 4)))).toString(16);
        });
  }

  function session(now) {
    var current = load("session") || {};
    if (!(now - current.at < IDLE_MS)) {
      current.id = id();
    }
    current.at = now;
    save("session", current);
    return current.id;
  }

  function track(type, fields) {
    if (!granted) {
      return;
    }
    var now = Date.now();
    var visitor = load("visitor") || id();
    var event = {
      event_id: id(),
      event_type: type,
      timestamp: new Date(now).toISOString(),
      session_id: session(now),
      anonymous_id: visitor,
      page_url: location.href,
      page_title: document.title,
      page_referrer: document.referrer
    };
    save("visitor", visitor);
    if (load("user")) {
      event.user_id = load("user");
    }
    for (var name in fields) {
      event[name] = fields[name];
    }
    queue.push(event);
    var over = queue.length - QUEUE_MAX;
    if (over > 0) {
      queue.splice(sending.length, over); // never from under a request
    }
    save(stored, queue);
    schedule(200);
  }

  function schedule(delay) {
    timer = timer || setTimeout(flush, delay);
  }

  function flush() {
    timer = 0;
    if (!granted || sending.length || !queue.length) {
      return;
    }
    var batch = (sending = queue.slice(0, BATCH_MAX));
    var body = JSON.stringify(batch);
    fetch(target(), { method: "POST", body: body, keepalive: body.length < KEEPALIVE_MAX, credentials: "omit" })
      .then(function (response) {
        // 4xx but 429 never gets better: such events would block the queue for good.
        if (response.status > 499 || response.status == 429) {
          throw response;
        }
        failures = 0;
        if (sending == batch) {
          sending = [];
          drop(0, batch.length);
        }
      })
      .catch(function (response) {
        var asked = response.headers && response.headers.get("retry-after") * 1e3;
        sending = [];
        schedule(asked || Math.random() * Math.min(RETRY_MS_MAX, 1e3 << Math.min(++failures, 9)));
      });
  }

  function drop(at, count) {
    queue.splice(at, count);
    save(stored, queue);
    if (queue.length) {
      schedule(200);
    } else {
      remove(stored);
    }
  }

  // text/plain needs no preflight, and a page that is going away has no time for one.
  function target() {
    return url + (data.key ? "?write_key=" + encodeURIComponent(data.key) : "");
  }

  // A beacon cannot say that it failed. So while requests fail, events stay in
  // the store for the next page, as does what a request holds: the ids keep
  // events that arrive twice from being counted twice.
  function leave() {
    var at = sending.length;
    while (
      granted &&
      !failures &&
      navigator.onLine &&
      queue[at] &&
      navigator.sendBeacon(target(), JSON.stringify(queue.slice(at, at + BATCH_MAX)))
    ) {
      drop(at, BATCH_MAX);
    }
  }

  function page(fields) {
    lastUrl = location.href;
    track("page_view", fields);
  }

  function moved() {
    // A router may set state twice for one page.
    if (location.href != lastUrl) {
      page();
    }
  }

  function click(event) {
    var element = event.target.closest && event.target.closest("[data-lakelet]");
    if (!element) {
      return;
    }
    var fields = {};
    for (var name in element.dataset) {
      // data-lakelet-product-id -> dataset.lakeletProductId -> product_id
      if (/^lakelet./.test(name)) {
        fields[name.slice(7).replace(/[A-Z]/g, function (c, at) {
          return (at ? "_" : "") + c.toLowerCase();
        })] = element.dataset[name];
      }
    }
    track(element.dataset.lakelet || "click", fields);
  }

  function identify(userId) {
    if (granted) {
      save("user", userId);
    }
  }

  function consent(yes) {
    if (!yes) {
      granted = false;
      queue = [];
      sending = [];
      memory = {};
      remove("");
    } else if (!granted && !refused) {
      granted = true;
      // What earlier pages, or tabs, could not send.
      remove("queue", function (left) {
        queue = queue.concat(left);
      });
      save(stored, queue);
      if (data.auto != "off") {
        page();
      }
      schedule(200);
    }
  }

  function wrap(name) {
    var original = history[name];
    history[name] = function () {
      original.apply(this, arguments);
      moved();
    };
  }

  if (data.auto != "off") {
    wrap("pushState");
    wrap("replaceState");
    window.addEventListener("popstate", moved);
    document.addEventListener("click", click, true);
  }
  window.addEventListener("online", flush);
  window.addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", function () {
    if (document.visibilityState == "hidden") {
      leave();
    }
  });

  var api = { track: track, page: page, identify: identify, consent: consent };
  var early = (window.lakelet && window.lakelet.q) || [];
  window.lakelet = api;
  if (data.consent == "granted") {
    consent(true);
  }
  early.forEach(function (call) {
    api[call[0]].apply(api, call.slice(1));
  });
})(window, document, navigator);
