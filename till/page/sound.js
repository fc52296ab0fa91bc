// The tones of the states (frequency in Hz, start and length in s), for a cashier who looks elsewhere. Where the browser has no sound,
// or does not allow it before the first key, nothing happens.

const tones = {
  waiting: [[220, 0, 0.07]],
  password: [[520, 0, 0.04]],
  unknown: [[440, 0, 0.25], [392, 0.45, 0.25]],
  paid: [[523, 0, 0.14], [659, 0.13, 0.14], [784, 0.26, 0.14], [1047, 0.39, 0.3]],
  declined: [[440, 0, 0.18], [330, 0.18, 0.18], [247, 0.36, 0.34]],
  wrong_code: [[988, 0, 0.1], [988, 0.18, 0.1]],
  reversed: [[392, 0, 0.3], [392, 0.45, 0.3]],
  offline: [[294, 0, 1.1]],
  lost: [[294, 0, 1.1]],
};

// again says after how many seconds a state's tone is heard again while the state lasts.
export const again = { password: 5, unknown: 8 };

const loudness = { waiting: 0.15, password: 0.06 };

export class Sounds {
  #context = null;
  muted = false;

  // allow is called in a key or a click: only then may a page begin to sound.
  allow() {
    try {
      this.#context ||= new AudioContext();
      if (this.#context.state === 'suspended') this.#context.resume().catch(() => {});
    } catch {
      this.#context = null;
    }
  }

  play(name) {
    if (this.muted || !this.#context || this.#context.state !== 'running') return;
    for (const [frequency, start, length] of tones[name] || []) this.#tone(frequency, start, length, loudness[name] || 0.3);
  }

  // say speaks a text where this machine itself has a voice for the language: no text leaves it.
  say(text, language) {
    const synthesis = globalThis.speechSynthesis;
    if (this.muted || !synthesis || !text) return;
    const wanted = { en: 'en', 'zh-Hans': 'zh-CN', 'zh-Hant': 'zh-HK' }[language];
    const voices = synthesis.getVoices().filter((v) => v.localService);
    const voice = voices.find((v) => v.lang.startsWith(wanted)) || voices.find((v) => v.lang.startsWith(wanted.slice(0, 2)));
    if (!voice) return;
    const spoken = new SpeechSynthesisUtterance(text);
    spoken.voice = voice;
    spoken.lang = voice.lang;
    synthesis.speak(spoken);
  }

  #tone(frequency, start, length, volume) {
    const at = this.#context.currentTime + start;
    const source = this.#context.createOscillator();
    const gain = this.#context.createGain();
    source.frequency.value = frequency;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(volume, at + 0.015);
    gain.gain.setValueAtTime(volume, at + length - 0.03);
    gain.gain.linearRampToValueAtTime(0, at + length);
    source.connect(gain).connect(this.#context.destination);
    source.start(at);
    source.stop(at + length);
  }
}
