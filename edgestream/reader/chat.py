"""stub"""
from __future__ import annotations
class Chat:
    def __init__(self,w,t):
        self.t=t; self.is_plain = w.metadata("tokenizer.chat_template") is None
        self.ends=t.end_tokens() if not self.is_plain else [i for i in range(300) if "\n" in t.decode([i])]+t.end_tokens()
    def prefix(self,system):
        if self.is_plain: return self.t.first_tokens(self.t.encode(system+"\n\n",add_special=False))
        return self.t.encode(f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n",add_special=False,special=True)
    def question(self,text):
        if self.is_plain: return self.t.encode(f"\n\nQuestion: {text}\nAnswer:",add_special=False)
        return self.t.encode(f"\n\n{text}<|im_end|>\n<|im_start|>assistant\n",add_special=False,special=True)
def chat_of(w,t): return Chat(w,t)
