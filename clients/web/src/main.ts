import './ui/app.css';
import { mount } from 'svelte';
import { settings } from './app/i18n.svelte';
import { model } from './app/model.svelte';
import App from './ui/App.svelte';

settings.load();
void model().start();
mount(App, { target: document.getElementById('app')! });
