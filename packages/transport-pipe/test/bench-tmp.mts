import { spawn, fork } from 'node:child_process'
import fs from 'node:fs'
import { pipeProvider } from '../dist/index.js'
const me = process.argv[2]
const N = 1<<20
const open=(rank:number,dir:string)=>pipeProvider.open({rank,size:2,directory:dir,token:new Uint8Array(32),launcherPid:0,descriptor:3,data:null,settings:{},notice:console.error} as any)
const F=Number(process.env.CHUNK||0)
function run(t:any, peer:number, first:boolean, bytes:number, rounds:number, spin:boolean){
  const out=new Uint8Array(bytes).fill(7), into=new Uint8Array(bytes), w=new Int32Array(4), chunk=F||t.limits.frameBytesMax
  let got=0, frames=0
  const r={frame(_p:number,_w:any,_c:number,b:Uint8Array,o:number,n:number){ into.set(b.subarray(o,o+n),got); got+=n; frames++ }}
  const recv=()=>{const need=Math.max(1,Math.ceil(bytes/chunk)); while(frames<need){ if(t.poll(r,64)===0 && !spin) t.park(1)} got=0;frames-=need}
  const send=()=>{let at=0; do{const n=Math.min(chunk,bytes-at); while(!t.trySend(peer,w,4,out,at,n)){ t.poll(r,64)} at+=n}while(at<bytes)}
  let best=1e9,sum=0
  for(let k=0;k<rounds;k++){ const t0=performance.now(); if(first){send();recv()}else{recv();send()} const d=(performance.now()-t0)*500; if(d>20000) console.log("SLOW",first,bytes,k,d,JSON.stringify(process.resourceUsage().involuntaryContextSwitches)); if(k>rounds/4){best=Math.min(best,d);sum+=d} }
  return [best,sum/(rounds-Math.floor(rounds/4)-1)]
}
if(me==='rank1'){ const t=await open(1,process.argv[3]); for(const [b,n] of JSON.parse(process.argv[4])) run(t,0,false,b,n,true); await t.close(); fs.closeSync(3)
} else if(me==='fork'){ process.on('message',(m:any)=>process.send!(m))
} else {
  const dir=fs.mkdtempSync('/tmp/pp/job-'); const p=await pipeProvider.prepare({size:2,directory:dir,settings:{}})
  const plan=[[0,4000],[64,4000],[4000,4000],[16384,2000],[65536,2000],[262144,1000],[N,500],[4*N,100]]
  const c=spawn(process.execPath,['--import','tsx',import.meta.filename,'rank1',dir,JSON.stringify(plan)],{stdio:['inherit','inherit','inherit',p.descriptor!]})
  const t=await pipeProvider.open({rank:0,size:2,directory:dir,token:new Uint8Array(32),launcherPid:0,descriptor:p.descriptor,data:null,settings:{},notice:console.error} as any)
  for(const [b,n] of plan){ const [best,mean]=run(t,1,true,b,n,true); console.log('pipe',b,'best',best.toFixed(1),'mean',mean.toFixed(1),'us one way') }
  await t.close(); p.release()
  await new Promise(r=>c.on('exit',r)); fs.rmSync(dir,{recursive:true})
  if(!process.env.NOFORK){
  const f=fork(import.meta.filename,['fork'],{serialization:'advanced',execArgv:['--import','tsx']})
  for(const b of [64,65536,N]){ const data=new Uint8Array(b).fill(5); let best=1e9,sum=0,n=0
   for(let k=0;k<200;k++){ const t0=performance.now(); await new Promise(r=>{f.once('message',r); f.send(data)}); const d=(performance.now()-t0)*500; if(k>50){best=Math.min(best,d);sum+=d;n++} }
   console.log('fork',b,'best',best.toFixed(1),'mean',(sum/n).toFixed(1)) }
  f.kill() }
}
