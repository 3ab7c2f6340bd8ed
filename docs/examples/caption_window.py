# SPDX-License-Identifier: Apache-2.0
"""A window with live captions.

    python caption_window.py             # the microphone
    python caption_window.py talk.mp3    # a file, as it plays

Needs tkinter (Debian: python3-tk). Captions are made on a thread. tkinter may only be touched by
the main thread, so events wait in a queue, which the window empties twenty times a second.
"""

import queue
import sys
import threading
import tkinter as tk

import edgestream as es

POLL_MS = 50
SHOWN_LINES = 6


class CaptionWindow:
    """Finished lines in white, the line being spoken in grey."""

    def __init__(self, source=None, **options):
        self.lines, self.draft = [], ""
        self.root = tk.Tk()
        self.root.title("captions")
        self.root.protocol("WM_DELETE_WINDOW", self.close)
        self.text = tk.Text(
            self.root, width=60, height=SHOWN_LINES + 2, wrap="word",
            bg="black", fg="white", font=("TkDefaultFont", 20), state="disabled",
        )  # fmt: skip
        self.text.tag_configure("draft", foreground="grey60")
        self.text.pack(fill="both", expand=True)
        self.events = queue.SimpleQueue()
        self.session = es.listen(source, **options)
        self.thread = threading.Thread(target=self.listen)
        self.thread.start()
        self.root.after(POLL_MS, self.poll)

    def listen(self):
        """On its own thread, until the source ends or the window is closed."""
        try:
            for event in self.session:
                self.events.put(event)
        except es.EdgestreamError as error:  # a microphone that failed, for example
            self.events.put(error)

    def poll(self):
        """On tkinter's thread: what came meanwhile."""
        changed = False
        while not self.events.empty():
            self.take(self.events.get())
            changed = True
        if changed:
            self.draw()
        self.root.after(POLL_MS, self.poll)

    def take(self, event):
        if isinstance(event, es.Draft):
            self.draft = event.text
        elif isinstance(event, es.Final):
            self.lines, self.draft = [*self.lines, event.text][-SHOWN_LINES:], ""
        elif isinstance(event, es.Gap):
            self.lines.append(f"[{(event.end_ms - event.start_ms) / 1000:.1f} s lost]")
        elif isinstance(event, es.EdgestreamError):
            self.draft = str(event)

    def draw(self):
        self.text.configure(state="normal")
        self.text.delete("1.0", "end")
        self.text.insert("end", "".join(f"{line}\n" for line in self.lines))
        self.text.insert("end", self.draft, "draft")
        self.text.see("end")
        self.text.configure(state="disabled")

    def close(self):
        self.session.stop()  # the thread ends with the last words
        self.root.destroy()
        self.thread.join()


if __name__ == "__main__":
    CaptionWindow(sys.argv[1] if sys.argv[1:] else None).root.mainloop()
